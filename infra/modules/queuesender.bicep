metadata description = 'Lets one identity send to one queue.'

@description('Name of the storage account.')
param storageAccountName string

@description('Name of the queue.')
param queueName string

@description('Object ID of the identity that sends.')
param senderPrincipalId string

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
    description: 'The workflow drops tenant IDs on this queue and may do nothing else.'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.queueMessageSender)
    principalId: senderPrincipalId
    principalType: 'ServicePrincipal'
  }
}
