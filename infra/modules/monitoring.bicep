metadata description = 'Log Analytics and Application Insights, for Entra identities only where the host can.'

@description('Name of the Log Analytics workspace.')
param workspaceName string

@description('Name of the Application Insights component.')
param appInsightsName string

@description('Region of both.')
param location string

@description('Tags of both.')
param tags { *: string }

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Gigabytes a day after which the workspace accepts no more logs.')
@minValue(1)
param dailyQuotaGb int

@description('Whether telemetry is accepted from Entra identities only.')
param entraOnly bool

@description('Whether to assign the role for telemetry.')
param createRoleAssignments bool

@description('Object ID of the identity that sends telemetry.')
param appPrincipalId string

var roles = loadJsonContent('../roles.json')

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    features: {
      enableLogAccessUsingOnlyResourcePermissions: true
      disableLocalAuth: true
    }
    workspaceCapping: {
      dailyQuotaGb: dailyQuotaGb
    }
  }
}

resource appInsights 'Microsoft.Insights/components@2020-02-02' = {
  name: appInsightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: entraOnly
  }
}

resource telemetryRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (createRoleAssignments && entraOnly) {
  name: guid(appInsights.id, appPrincipalId, roles.metricsPublisher)
  scope: appInsights
  properties: {
    description: 'Sends telemetry: with local authentication off, none is accepted without this role.'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.metricsPublisher)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

@description('Resource ID of the workspace.')
output workspaceId string = workspace.id

@description('Where telemetry goes. At most, it lets others send telemetry.')
output connectionString string = appInsights.properties.ConnectionString
