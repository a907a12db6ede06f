metadata description = 'Lets one identity send to one queue.'

@description('Name of the storage account.')
param storageAccountName string

@description('Name of the queue.')
param queueName string

@description('Object ID of the identity that sends.')
param senderPrincipalId string

@description('Whether it is an identity of an application, which Entra ID may not list yet when the role is assigned.')
param isServicePrincipal bool

var roles = loadJsonContent('../roles.json')

resource storage 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' existing = {
  parent: storage
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' existing = {
  parent: queueService
  name: queueName
}

resource senderRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(queue.id, senderPrincipalId, roles.queueMessageSender)
  scope: queue
  properties: {
    description: 'Drops tenant IDs of customers to delete on this queue and may do nothing else.'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueMessageSender)
    principalId: senderPrincipalId
    principalType: isServicePrincipal ? 'ServicePrincipal' : null
  }
}
