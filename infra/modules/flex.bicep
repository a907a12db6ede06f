metadata description = 'The function app and its plan on Flex Consumption, which scales to zero. For the public cloud.'

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

@description('Instances that each function group may scale out to.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int

@description('Memory of an instance in megabytes.')
param instanceMemoryMB int

@description('Whether an update waits for running work and goes on beside it; not every region offers this.')
param rollingUpdates bool

@description('Resource ID of the identity that the app uses.')
param identityId string

@description('Address of the container that holds the deployment package.')
param deploymentContainerUrl string

@description('Resource ID of the subnet that the app sends from; empty for none.')
param subnetId string

@description('Whether the app is reached through private endpoints only.')
param privateInbound bool

@description('The app settings, by name.')
param appSettings { *: string }

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
    triggers: {
      // Unset, an instance runs one request of a Python app at a time: a long one would hold up the emergency stop.
      http: {
        perInstanceConcurrency: 16
      }
    }
  }
  runtime: {
    name: 'python'
    version: pythonVersion
  }
}
var rollingUpdate = {
  siteUpdateStrategy: {
    type: 'RollingUpdate'
  }
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  // checkov:skip=CKV_AZURE_225:messages wait in their queues while a zone is down
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource functionApp 'Microsoft.Web/sites@2024-11-01' = {
  // checkov:skip=CKV_AZURE_17:callers sign in with function keys or Entra tokens, not with client certificates
  // checkov:skip=CKV_AZURE_18:Flex rejects the setting
  // checkov:skip=CKV_AZURE_67:Flex rejects the setting
  // checkov:skip=CKV_AZURE_78:Flex has no FTP and rejects the setting
  // checkov:skip=CKV_AZURE_212:messages wait in their queues while an instance is down
  // checkov:skip=CKV_AZURE_213:Flex has no health check
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
    // The published type lacks siteUpdateStrategy; a region without it must not even see it as null.
    #disable-next-line BCP037
    functionAppConfig: rollingUpdates ? union(flexConfig, rollingUpdate) : flexConfig
    siteConfig: {
      minTlsVersion: '1.2'
      appSettings: [
        for setting in items(appSettings): {
          name: setting.key
          value: setting.value
        }
      ]
    }
  }
}

@description('Host name of the app.')
output hostName string = functionApp.properties.defaultHostName
