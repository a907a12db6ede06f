metadata description = 'Alerts on the log lines of the code; the rules stand in alerts.json.'

@description('Name of the action group.')
param actionGroupName string

@description('Text that the names of the rules begin with.')
param rulePrefix string

@description('Region of the rules.')
param location string

@description('Tags of the rules and the group.')
param tags object

@description('Resource ID of the Application Insights component whose traces the rules read.')
param appInsightsId string

@description('Mail addresses to tell; with none, no action group is made.')
param emailAddresses array

@description('Resource IDs of action groups that exist already and are told as well.')
param actionGroupIds array

@description('Whether the absence of the daily sweep is worth an alert.')
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

resource alertRules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
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
