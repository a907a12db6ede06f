metadata description = 'The function app and its plan on a machine that always runs, where a cloud has no Flex.'

// 2024-04-01 is the newest version that US Government knew in August 2025 (azure-cli issue 31943).

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

@description('Version of Python.')
param pythonVersion string

@description('Size of the machine.')
param sku string

@description('Resource ID of the identity that the app uses.')
param identityId string

@description('Resource ID of the subnet that the app sends from; empty for none.')
param subnetId string

@description('Whether the app is reached through private endpoints only.')
param privateInbound bool

@description('The app settings, by name.')
param appSettings { *: string }

var platformSettings = {
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'python'
  SCM_DO_BUILD_DURING_DEPLOYMENT: 'true'
  ENABLE_ORYX_BUILD: 'true'
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  // checkov:skip=CKV_AZURE_225:messages wait in their queues while a zone is down
  name: planName
  location: location
  tags: tags
  kind: 'linux'
  sku: {
    name: sku
  }
  properties: {
    reserved: true
  }
}

resource functionApp 'Microsoft.Web/sites@2024-04-01' = {
  // checkov:skip=CKV_AZURE_17:callers sign in with function keys or Entra tokens, not with client certificates
  // checkov:skip=CKV_AZURE_212:messages wait in their queues while an instance is down
  // checkov:skip=CKV_AZURE_222:privateInbound closes the app; otherwise people and Logic Apps call from outside
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
    publicNetworkAccess: privateInbound ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      linuxFxVersion: 'Python|${pythonVersion}'
      alwaysOn: true
      ftpsState: 'Disabled'
      http20Enabled: true
      healthCheckPath: '/api/health'
      // Without it, references to secrets never reach a vault through its private endpoint.
      vnetRouteAllEnabled: !empty(subnetId)
      appSettings: [
        for setting in items(union(appSettings, platformSettings)): {
          name: setting.key
          value: setting.value
        }
      ]
    }
  }
}

resource noFtpPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: functionApp
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noScmPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: functionApp
  name: 'scm'
  properties: {
    allow: false
  }
}

@description('Host name of the app.')
output hostName string = functionApp.properties.defaultHostName
