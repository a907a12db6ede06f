metadata description = 'The sample workflows, each signed in with a managed identity of its own.'

@description('Name of the workflow that deletes a customer over HTTP.')
param deleteCustomerName string

@description('Name of the workflow that puts a customer on the queue.')
param queueCustomerName string

@description('Name of the workflow that runs a sweep each week.')
param sweepSandboxName string

@description('What the sweep of this workflow does: report or delete.')
param sweepMode string

@description('Name of the connection to Azure Queues.')
param connectionName string

@description('Region of the workflows.')
param location string

@description('Tags of the workflows.')
param tags { *: string }

@description('Address of the function app, without a trailing slash.')
param endpoint string

@description('Client ID of the app registration that represents the API; if empty, no workflow calls over HTTP.')
param apiClientId string

@description('Address that outcomes are posted to as JSON; empty for none.')
param notifyUrl string

@description('Name of the storage account.')
param storageAccountName string

@description('Object ID of the one caller whose Entra token starts the workflows that wait for a request.')
param callerObjectId string

@description('Whether the runs of the workflows are logged.')
param diagnosticLogs bool

@description('Resource ID of the workspace that receives these logs.')
param workspaceId string

@description('Whether to assign the role that fills the queue.')
param createRoleAssignments bool

var withHttp = !empty(apiClientId)
var logsHttp = withHttp && diagnosticLogs
var tokenIssuer = environment().name == 'AzureChinaCloud' ? 'https://sts.chinacloudapi.cn' : 'https://sts.windows.net'
var triggerPath = '/triggers/Request/paths/invoke?api-version=2016-10-01'
// The address of a trigger carries a key by default, with which anybody may delete customers.
var accessControl = {
  triggers: {
    sasAuthenticationPolicy: {
      state: 'Disabled'
    }
    openAuthenticationPolicies: {
      policies: {
        entra: {
          type: 'AAD'
          claims: [
            {
              name: 'iss'
              value: '${tokenIssuer}/${tenant().tenantId}/'
            }
            {
              name: 'aud'
              value: environment().authentication.audiences[0]
            }
            {
              name: 'oid'
              value: callerObjectId
            }
          ]
        }
      }
    }
  }
}
var azureQueuesApiId = subscriptionResourceId('Microsoft.Web/locations/managedApis', location, 'azurequeues')

resource deleteCustomer 'Microsoft.Logic/workflows@2019-05-01' = if (withHttp) {
  name: deleteCustomerName
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    state: 'Enabled'
    // The published type lacks sasAuthenticationPolicy.
    #disable-next-line BCP037
    accessControl: accessControl
    definition: loadJsonContent('../workflows/delete-customer.json')
    parameters: {
      endpoint: {
        value: endpoint
      }
      audience: {
        value: 'api://${apiClientId}'
      }
      notifyUrl: {
        value: notifyUrl
      }
    }
  }
}

// A recurrence starts it, so it has no address.
resource sweepSandbox 'Microsoft.Logic/workflows@2019-05-01' = if (withHttp) {
  name: sweepSandboxName
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    state: 'Enabled'
    definition: loadJsonContent('../workflows/sweep-sandbox.json')
    parameters: {
      endpoint: {
        value: endpoint
      }
      audience: {
        value: 'api://${apiClientId}'
      }
      mode: {
        value: sweepMode
      }
      notifyUrl: {
        value: notifyUrl
      }
    }
  }
}

resource azureQueues 'Microsoft.Web/connections@2016-06-01' = {
  name: connectionName
  location: location
  tags: tags
  properties: {
    displayName: connectionName
    api: {
      id: azureQueuesApiId
    }
    // The published type lacks this property; without it the connection asks for a key.
    #disable-next-line BCP089
    parameterValueSet: {
      name: 'managedIdentityAuth'
      values: {}
    }
  }
}

resource queueCustomer 'Microsoft.Logic/workflows@2019-05-01' = {
  name: queueCustomerName
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    state: 'Enabled'
    // The published type lacks sasAuthenticationPolicy.
    #disable-next-line BCP037
    accessControl: accessControl
    definition: loadJsonContent('../workflows/queue-customer.json')
    parameters: {
      storageAccount: {
        value: storageAccountName
      }
      '$connections': {
        value: {
          azurequeues: {
            id: azureQueuesApiId
            connectionId: azureQueues.id
            connectionName: connectionName
            connectionProperties: {
              authentication: {
                type: 'ManagedServiceIdentity'
              }
            }
          }
        }
      }
    }
  }
}

resource deleteCustomerLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (logsHttp) {
  name: 'runs'
  scope: deleteCustomer
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'WorkflowRuntime'
        enabled: true
      }
    ]
  }
}

resource sweepSandboxLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (logsHttp) {
  name: 'runs'
  scope: sweepSandbox
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'WorkflowRuntime'
        enabled: true
      }
    ]
  }
}

resource queueCustomerLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (diagnosticLogs) {
  name: 'runs'
  scope: queueCustomer
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'WorkflowRuntime'
        enabled: true
      }
    ]
  }
}

module queueRole 'queuesender.bicep' = if (createRoleAssignments) {
  params: {
    storageAccountName: storageAccountName
    queueName: 'customers-to-delete'
    // As in main.bicep: role assignments are named after object IDs.
    #disable-next-line what-if-short-circuiting
    senderPrincipalId: queueCustomer.identity.principalId
    isServicePrincipal: true
  }
}

@description('Address that starts the workflow that fills the queue, for a token of the named caller.')
output queueCustomerUrl string = '${queueCustomer.properties.accessEndpoint}${triggerPath}'

@description('Address that starts the workflow that deletes a customer; empty if there is none.')
output deleteCustomerUrl string = withHttp ? '${deleteCustomer!.properties.accessEndpoint}${triggerPath}' : ''

@description('Object ID of the workflow that deletes a customer; empty if there is none.')
output deleteCustomerPrincipalId string = withHttp ? deleteCustomer!.identity.principalId : ''

@description('Object ID of the workflow that runs a sweep; empty if there is none.')
output sweepSandboxPrincipalId string = withHttp ? sweepSandbox!.identity.principalId : ''
