metadata description = 'Queues, tables and the deployment package, without shared keys.'

@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param name string

@description('Region of the account.')
param location string

@description('Tags of the account.')
param tags { *: string }

@description('Redundancy of the account.')
param sku string

@description('Name of the container that holds the deployment package.')
param deploymentContainerName string

@description('Days in which a deleted blob or container can be recovered.')
@minValue(1)
@maxValue(365)
param softDeleteDays int

@description('Whether the account is reached through private endpoints only.')
param privateNetworking bool

@description('Whether the account carries a lock against deletion.')
param deleteLock bool

@description('Whether calls to the queues are logged.')
param diagnosticLogs bool

@description('Resource ID of the workspace that receives these logs.')
param workspaceId string

@description('Whether to assign the roles of the app.')
param createRoleAssignments bool

@description('Object ID of the identity that the function app uses.')
param appPrincipalId string

var roles = loadJsonContent('../roles.json')

// The names that the code uses, from shared/storage/names.py; a test compares the two.
var queueNames = [
  'customers-to-delete'
  'orders-to-check'
  'customers-ready'
  'sweeps-to-run'
]
var tableNames = [
  'deletions'
  'sandbox'
  'history'
]

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  // checkov:skip=CKV_AZURE_35:the firewall is closed with privateNetworking; otherwise the app comes from outside
  // checkov:skip=CKV_AZURE_206:a lost message can be sent again, so one region is enough; storageSku chooses
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateNetworking ? 'Deny' : 'Allow'
    }
  }
}

resource blobService 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: storage
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
  }
}

resource deploymentContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobService
  name: deploymentContainerName
  properties: {
    publicAccess: 'None'
  }
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' = {
  parent: storage
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = [
  for queueName in queueNames: {
    parent: queueService
    name: queueName
  }
]

resource poisonQueues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = [
  for queueName in queueNames: {
    parent: queueService
    name: '${queueName}-poison'
  }
]

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-01-01' = {
  parent: storage
  name: 'default'
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-01-01' = [
  for tableName in tableNames: {
    parent: tableService
    name: tableName
  }
]

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (deleteLock) {
  name: 'no-deletion'
  scope: storage
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds the queues, the records and the history of deletions.'
  }
}

resource queueLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnosticLogs) {
  name: 'calls'
  scope: queueService
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageRead'
        enabled: true
      }
      {
        category: 'StorageWrite'
        enabled: true
      }
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

resource blobRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (createRoleAssignments) {
  name: guid(storage.id, appPrincipalId, roles.blobDataOwner)
  scope: storage
  properties: {
    description: 'The host keeps locks, timer state, function keys and the deployment package in blobs.'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataOwner)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource queueRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (createRoleAssignments) {
  name: guid(storage.id, appPrincipalId, roles.queueDataContributor)
  scope: storage
  properties: {
    description: 'The app reads, renews, sends and deletes messages, moves them to poison queues and reads depths.'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueDataContributor)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource tableRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (createRoleAssignments) {
  name: guid(storage.id, appPrincipalId, roles.tableDataContributor)
  scope: storage
  properties: {
    description: 'Steps read and write the records of deletions; the host writes its diagnostic events.'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.tableDataContributor)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

@description('Address of the blob service, with a trailing slash.')
output blobEndpoint string = storage.properties.primaryEndpoints.blob

@description('Address of the queue service, with a trailing slash.')
output queueEndpoint string = storage.properties.primaryEndpoints.queue

@description('Address of the table service, with a trailing slash.')
output tableEndpoint string = storage.properties.primaryEndpoints.table

@description('Address of the container that holds the deployment package.')
output deploymentContainerUrl string = '${storage.properties.primaryEndpoints.blob}${deploymentContainer.name}'
