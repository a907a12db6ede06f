metadata description = 'The function app and its plan: Flex Consumption, or Dedicated where a cloud has no Flex.'

@description('Name of the function app. The first 32 characters must differ between apps that share a storage account.')
@minLength(2)
@maxLength(60)
param name string

@description('Name of the plan.')
param planName string

@description('Region of both.')
param location string

@description('Tags of both.')
param tags { *: string }

@description('flex scales to zero; dedicated always runs, on a machine of its own.')
@allowed([
  'flex'
  'dedicated'
])
param hostingModel string

@description('Size of the machine with hostingModel dedicated.')
param dedicatedSku string

@description('Version of Python.')
param pythonVersion string

@description('Instances that each function group may scale out to with hostingModel flex.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int

@description('Memory of an instance in megabytes with hostingModel flex.')
param instanceMemoryMB int

@description('Resource ID of the identity that the app uses.')
param identityId string

@description('Client ID of the same identity.')
param identityClientId string

@description('Address of the container that holds the deployment package.')
param deploymentContainerUrl string

@description('Address of the blob service that the host uses.')
param blobEndpoint string

@description('Where telemetry goes.')
param appInsightsConnectionString string

@description('Resource ID of the subnet that the app sends from; empty for none.')
param subnetId string

@description('The settings that the code reads, by name.')
param appSettings { *: string }

var isFlex = hostingModel == 'flex'

// Read by the platform, not by the code; the code's settings are in main.bicep.
var platformSettings = {
  AzureWebJobsStorage__blobServiceUri: blobEndpoint
  APPLICATIONINSIGHTS_CONNECTION_STRING: appInsightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  PYTHON_THREADPOOL_THREAD_COUNT: '32'
}

// Flex rejects these four; Dedicated needs them.
var dedicatedSettings = {
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'python'
  SCM_DO_BUILD_DURING_DEPLOYMENT: 'true'
  ENABLE_ORYX_BUILD: 'true'
}

// Flex rejects these too, even as null.
var dedicatedSiteConfig = {
  linuxFxVersion: 'Python|${pythonVersion}'
  alwaysOn: true
  ftpsState: 'Disabled'
  http20Enabled: true
  healthCheckPath: '/api/health'
}

var flexConfig = {
  deployment: {
    storage: {
      type: 'blobContainer'
      value: deploymentContainerUrl
      authentication: {
        type: 'UserAssignedIdentity'
        userAssignedIdentityResourceId: identityId
      }
    }
  }
  scaleAndConcurrency: {
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
  }
  runtime: {
    name: 'python'
    version: pythonVersion
  }
}

var allSettings = union(appSettings, platformSettings, isFlex ? {} : dedicatedSettings)
var settingList = [
  for setting in items(allSettings): {
    name: setting.key
    value: setting.value
  }
]
var siteConfig = {
  minTlsVersion: '1.2'
  appSettings: settingList
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  // checkov:skip=CKV_AZURE_225:messages wait in their queues while a zone is down
  name: planName
  location: location
  tags: tags
  kind: isFlex ? 'functionapp' : 'linux'
  sku: {
    name: isFlex ? 'FC1' : dedicatedSku
    tier: isFlex ? 'FlexConsumption' : null
  }
  properties: {
    reserved: true
  }
}

resource functionApp 'Microsoft.Web/sites@2024-11-01' = {
  // checkov:skip=CKV_AZURE_15:TLS 1.2 is set in the variable siteConfig, which checkov does not follow
  // checkov:skip=CKV_AZURE_17:callers sign in with function keys or Entra tokens, not with client certificates
  // checkov:skip=CKV_AZURE_18:Flex rejects the setting; dedicatedSiteConfig has it
  // checkov:skip=CKV_AZURE_67:Flex rejects the setting; dedicatedSiteConfig has it
  // checkov:skip=CKV_AZURE_78:Flex has no FTP and rejects the setting; dedicatedSiteConfig turns it off
  // checkov:skip=CKV_AZURE_212:messages wait in their queues while an instance is down
  // checkov:skip=CKV_AZURE_213:Flex has no health check; dedicatedSiteConfig has it
  // checkov:skip=CKV_AZURE_222:Logic Apps and people call the HTTP functions from outside the network
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: isFlex ? flexConfig : null
    siteConfig: union(siteConfig, isFlex ? {} : dedicatedSiteConfig)
  }
}

resource noFtpPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = if (!isFlex) {
  parent: functionApp
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noScmPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = if (!isFlex) {
  parent: functionApp
  name: 'scm'
  properties: {
    allow: false
  }
}

@description('Name of the app.')
output name string = functionApp.name

@description('Host name of the app.')
output hostName string = functionApp.properties.defaultHostName
