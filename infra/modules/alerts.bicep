metadata description = 'Alerts on the log lines of the code; the rules are in alerts.json.'

@description('Name of the action group.')
param actionGroupName string

@description('Prefix of the names of the rules.')
param rulePrefix string

@description('Region of the rules.')
param location string

@description('Tags of the rules and the group.')
param tags { *: string }

@description('Resource ID of the Application Insights component whose traces the rules read.')
param appInsightsId string

@description('Email addresses to notify; if empty, no action group is created.')
param emailAddresses string[]

@description('Resource IDs of existing action groups to notify too.')
param actionGroupIds string[]

@description('Whether to alert on a missing daily sweep.')
param alertOnMissingSweep bool

var rules = loadJsonContent('../alerts.json')
var ownGroupIds = empty(emailAddresses) ? [] : [actionGroup!.id]

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emailAddresses)) {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'tipsweep'
    emailReceivers: [
      for (address, i) in emailAddresses: {
        name: 'mail-${i}'
        emailAddress: address
        useCommonAlertSchema: true
      }
    ]
  }
}

// The only place with this version. 2023-12-01 compiles, but Azure refused it (bicep issue 15192). A cloud whose
// provider lags takes 2025-01-01-preview or 2022-06-15: see docs/deploy.md.
resource alertRules 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: '${rulePrefix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.displayName
      description: rule.description
      severity: rule.severity
      enabled: rule.name == 'sweep-silent' ? alertOnMissingSweep : true
      scopes: [
        appInsightsId
      ]
      evaluationFrequency: rule.evaluationFrequency
      windowSize: rule.windowSize
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: rule.operator
            threshold: rule.threshold
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      autoMitigate: rule.autoMitigate
      // The table is empty until the app has logged something.
      skipQueryValidation: true
      actions: {
        actionGroups: concat(actionGroupIds, ownGroupIds)
      }
    }
  }
]
