metadata description = 'Everything that tipsweep needs, in one resource group, without secrets or shared keys.'

targetScope = 'resourceGroup'

@description('Name of the environment, such as dev or prod. It distinguishes deployments in one group.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Region of every resource.')
param location string = resourceGroup().location

@description('Tags of every resource.')
param tags { *: string } = {}

@description('Suffix of every generated name.')
param nameSuffix string = uniqueString(resourceGroup().id, environmentName)

@description('Name of the function app.')
@maxLength(32)
param functionAppName string = 'func-tipsweep-${nameSuffix}'

@description('Name of the plan.')
param planName string = 'plan-tipsweep-${nameSuffix}'

@description('Name of the identity that the function app uses.')
param identityName string = 'id-tipsweep-${nameSuffix}'

@description('Name of the storage account.')
@minLength(3)
@maxLength(24)
param storageAccountName string = 'sttipsweep${nameSuffix}'

@description('Name of the key vault that the app reads from.')
@minLength(3)
@maxLength(24)
param keyVaultName string = 'kv-${nameSuffix}'

@description('Name of the key vault that holds the refresh token, which the app renews.')
@minLength(3)
@maxLength(24)
param refreshTokenVaultName string = 'kv-rt-${nameSuffix}'

@description('Name of the Log Analytics workspace.')
param workspaceName string = 'log-tipsweep-${nameSuffix}'

@description('Name of the Application Insights component.')
param appInsightsName string = 'appi-tipsweep-${nameSuffix}'

@description('Name of the action group.')
param actionGroupName string = 'ag-tipsweep-${nameSuffix}'

@description('Name of the virtual network.')
param virtualNetworkName string = 'vnet-tipsweep-${nameSuffix}'

@description('Name of the workflow that deletes a customer over HTTP.')
param deleteCustomerWorkflowName string = 'logic-delete-customer-${nameSuffix}'

@description('Name of the workflow that puts a customer on the queue.')
param queueCustomerWorkflowName string = 'logic-queue-customer-${nameSuffix}'

@description('Name of the workflow that runs a sweep each week.')
param sweepSandboxWorkflowName string = 'logic-sweep-sandbox-${nameSuffix}'

@description('Name of the connection to Azure Queues.')
param queueConnectionName string = 'con-azurequeues-${nameSuffix}'

@description('flex scales to zero; dedicated always runs, for clouds without Flex Consumption.')
@allowed([
  'flex'
  'dedicated'
])
param hostingModel string = 'flex'

@description('Size of the machine with hostingModel dedicated.')
param dedicatedSku string = 'B1'

@description('Version of Python.')
@allowed([
  '3.11'
  '3.12'
  '3.13'
  '3.14'
])
param pythonVersion string = '3.12'

@description('Instances that each function may scale out to with hostingModel flex. Some regions require 40 or more.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 100

@description('Whether an update on flex waits for running work and goes on beside it; not every region offers this.')
param rollingUpdates bool = false

@description('Memory of an instance in megabytes with hostingModel flex.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Redundancy of the storage account.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
param storageSku string = 'Standard_LRS'

@description('Whether storage account and vaults carry a lock against deletion. azd down fails as long as they do.')
param deleteLocks bool = false

@description('Whether calls to the queues and runs of the workflows are logged to the workspace.')
param diagnosticLogs bool = false

@description('Whether the template assigns roles. If not, somebody else must: docs/deploy.md lists them.')
param createRoleAssignments bool = true

@description('Days in which a deleted blob or container can be recovered.')
param softDeleteDays int = 7

@description('Whether a deleted key vault cannot be purged for 90 days. Cannot be turned off again.')
param purgeProtection bool = true

@description('Object ID of who stores the credential and fills the queue; deployer for who deploys, empty for none.')
param operatorPrincipalId string = 'deployer'

@description('Days that logs are kept.')
param logRetentionDays int = 30

@description('Gigabytes a day after which no more logs are accepted.')
param logDailyQuotaGb int = 1

// Elsewhere the host asks for a token of the public cloud, which is refused (ApplicationInsights-dotnet issue 2962).
@description('Whether telemetry is accepted from Entra identities only. Possible in the public cloud.')
param entraTelemetry bool = environment().name == 'AzureCloud'

@description('Email addresses that alerts go to.')
param alertEmailAddresses string[] = []

@description('Resource IDs of action groups that alerts go to.')
param actionGroupIds string[] = []

@description('Whether the app reaches storage and vaults through private endpoints only.')
param privateNetworking bool = false

@description('Whether the app itself is reached through a private endpoint only. Needs privateNetworking.')
param privateInbound bool = false

@description('Address range of the virtual network.')
param virtualNetworkPrefix string = '10.40.0.0/24'

@description('Address range of the subnet that the app sends from.')
param appSubnetPrefix string = '10.40.0.0/26'

@description('Address range of the subnet with the private endpoints.')
param endpointSubnetPrefix string = '10.40.0.64/26'

@description('Client ID of the app registration that represents the API. If set, Easy Auth guards the app.')
param easyAuthClientId string = ''

@description('Client IDs of the applications that Easy Auth admits; empty for any application.')
param easyAuthCallerClientIds string[] = []

@description('Whether to deploy the sample workflows. Those that call over HTTP need easyAuthClientId.')
param deployLogicApps bool = false

@description('Object ID of the one caller whose Entra token starts the sample workflows; deployer for who deploys.')
param workflowCallerObjectId string = 'deployer'

@description('What the sweep of the sample workflow does. Start with report.')
@allowed([
  'report'
  'delete'
])
param sweepWorkflowMode string = 'report'

@description('Address that the sample workflows post outcomes to; empty for none. Must not contain a secret.')
param logicAppNotifyUrl string = ''

@description('Tenant of the sandbox partner account.')
@minLength(36)
@maxLength(36)
param partnerTenantId string

@description('The same tenant ID, typed again: this is the sandbox.')
@minLength(36)
@maxLength(36)
param sandboxTenantConfirmation string

@description('Client ID of the app registration in the sandbox tenant.')
@minLength(36)
@maxLength(36)
param partnerCenterClientId string

@description('Way to sign in to Partner Center.')
@allowed([
  'secret'
  'certificate'
  'federated'
  'user'
])
param partnerCenterAuth string = 'secret'

@description('Name of the client secret in the key vault.')
param clientSecretName string = 'partner-center-client-secret'

@description('Name of the certificate in the key vault.')
param certificateName string = 'partner-center-certificate'

@description('Name of the refresh token in its key vault.')
param refreshTokenSecretName string = 'partner-center-refresh-token'

@description('Cloud of Partner Center.')
@allowed([
  'global'
  'usgov'
  'china'
])
param partnerCenterCloud string = 'global'

@description('Address of Partner Center; empty for the default of the cloud.')
param partnerCenterBaseUrl string = ''

@description('Address of the sign-in; empty for the default of the cloud.')
param partnerCenterAuthority string = ''

@description('Scope of the token; empty for the default of the cloud.')
param partnerCenterScope string = ''

// Below Microsoft's 500 (page "API throttling guidance for partners"), which the partner tenant's other apps share.
@description('Calls a minute that all processes together may make to Partner Center.')
@minValue(1)
@maxValue(500)
param partnerCenterRateLimitPerMinute int = 475

@description('Tenant IDs of customers that are never deleted, separated by commas, or none to protect nothing.')
param protectedTenants string = ''

@description('Domain patterns of customers that are never deleted, separated by commas, or none to protect nothing.')
param protectedDomains string = ''

@description('Seconds until cancelled orders are first checked.')
param checkFirstDelaySeconds int = 5

@description('Longest time between two checks, in seconds.')
param checkMaxDelaySeconds int = 300

@description('Hours after which a deletion ends as stuck, without the time that it was parked.')
param deletionDeadlineHours int = 48

@description('Days that the history of everything done is kept.')
param historyDays int = 400

@description('When the sweep runs: NCRONTAB, UTC.')
param sweepSchedule string = '0 0 3 * * *'

@description('What the sweep does. Start with report.')
@allowed([
  'off'
  'report'
  'delete'
])
param sweepMode string = 'report'

@description('Patterns of domains whose customers the sweep may delete, separated by commas.')
param sweepIncludeDomains string = '*'

@description('Days that a customer must have existed before the sweep deletes it.')
param sweepMinAgeDays int = 7

@description('Most deletions by sweeps at a time.')
param sweepMaxDeletions int = 25

@description('Free slots that the sweep aims for; empty for no such limit.')
param sweepKeepFreeSlots string = ''

@description('Whether to alert on 26 hours without a sweep. Turn it off if the schedule is less than daily.')
param alertOnMissingSweep bool = sweepMode != 'off'

@description('Address of a proxy in front of the app; empty for its own host name.')
param publicBaseUrl string = ''

var allTags = union(tags, { 'azd-env-name': environmentName })
var operatorId = operatorPrincipalId == 'deployer' ? deployer().objectId : operatorPrincipalId
var workflowCallerId = workflowCallerObjectId == 'deployer' ? deployer().objectId : workflowCallerObjectId
var isFlex = hostingModel == 'flex'
var appInsightsId = resourceId('Microsoft.Insights/components', appInsightsName)
var hostName = isFlex ? flexApp!.outputs.hostName : dedicatedApp!.outputs.hostName
// Logic Apps (Consumption) call from outside the network.
var inboundAdvice = 'privateInbound needs privateNetworking and excludes deployLogicApps.'
var inboundConflict = !privateNetworking || deployLogicApps
var closesApp = privateInbound && inboundConflict ? fail(inboundAdvice) : privateInbound
var usesKeyVault = partnerCenterAuth != 'federated'
var usesRefreshToken = partnerCenterAuth == 'user'
var usesClientSecret = partnerCenterAuth == 'secret' || usesRefreshToken
var keyVaultUri = usesKeyVault ? keyVault!.outputs.uri : ''
var clientSecretReference = '@Microsoft.KeyVault(SecretUri=${keyVaultUri}secrets/${clientSecretName})'
var vaultNames = concat(usesKeyVault ? [keyVaultName] : [], usesRefreshToken ? [refreshTokenVaultName] : [])

// What shared/settings.py reads; a test compares the two. Empty means the default of the code.
var appSettings = {
  PARTNER_TENANT_ID: partnerTenantId
  SANDBOX_TENANT_CONFIRMATION: sandboxTenantConfirmation
  PARTNER_CENTER_CLIENT_ID: partnerCenterClientId
  PARTNER_CENTER_AUTH: partnerCenterAuth
  PARTNER_CENTER_CLIENT_SECRET: usesClientSecret ? clientSecretReference : ''
  PARTNER_CENTER_CERTIFICATE_NAME: certificateName
  REFRESH_TOKEN_SECRET_NAME: refreshTokenSecretName
  KEY_VAULT_URI: usesRefreshToken ? refreshTokenVault!.outputs.uri : keyVaultUri
  AZURE_CLIENT_ID: identity.outputs.clientId
  PARTNER_CENTER_CLOUD: partnerCenterCloud
  PARTNER_CENTER_BASE_URL: partnerCenterBaseUrl
  PARTNER_CENTER_AUTHORITY: partnerCenterAuthority
  PARTNER_CENTER_SCOPE: partnerCenterScope
  PARTNER_CENTER_RATE_LIMIT_PER_MINUTE: string(partnerCenterRateLimitPerMinute)
  PROTECTED_TENANTS: protectedTenants
  PROTECTED_DOMAINS: protectedDomains
  CHECK_FIRST_DELAY_SECONDS: string(checkFirstDelaySeconds)
  CHECK_MAX_DELAY_SECONDS: string(checkMaxDelaySeconds)
  DELETION_DEADLINE_HOURS: string(deletionDeadlineHours)
  HISTORY_DAYS: string(historyDays)
  SWEEP_SCHEDULE: sweepSchedule
  SWEEP_MODE: sweepMode
  SWEEP_INCLUDE_DOMAINS: sweepIncludeDomains
  SWEEP_MIN_AGE_DAYS: string(sweepMinAgeDays)
  SWEEP_MAX_DELETIONS: string(sweepMaxDeletions)
  SWEEP_KEEP_FREE_SLOTS: sweepKeepFreeSlots
  PUBLIC_BASE_URL: publicBaseUrl
  REQUIRE_CLIENT_PRINCIPAL: empty(easyAuthClientId) ? 'false' : 'true'
  AzureWebJobsStorage__queueServiceUri: storage.outputs.queueEndpoint
  AzureWebJobsStorage__tableServiceUri: storage.outputs.tableEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.outputs.clientId
}

// Read by the platform, not by the code.
var platformSettings = {
  AzureWebJobsStorage__blobServiceUri: storage.outputs.blobEndpoint
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
  PYTHON_THREADPOOL_THREAD_COUNT: '32'
}
var telemetrySettings = {
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.outputs.clientId};Authorization=AAD'
}
var signInSettings = {
  OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identity.outputs.clientId
}
var telemetryPart = entraTelemetry ? telemetrySettings : {}
var signInPart = empty(easyAuthClientId) ? {} : signInSettings
var allSettings = union(appSettings, platformSettings, telemetryPart, signInPart)

// Role assignments are named after the object ID of the identity, which is known only once the identity exists. Named
// after its resource ID, the assignment of a deleted identity would stand in the way of the one that replaces it.
module identity 'modules/identity.bicep' = {
  params: {
    name: identityName
    location: location
    tags: allTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    workspaceName: workspaceName
    appInsightsName: appInsightsName
    location: location
    tags: allTags
    retentionDays: logRetentionDays
    dailyQuotaGb: logDailyQuotaGb
    entraOnly: entraTelemetry
    createRoleAssignments: createRoleAssignments
    #disable-next-line what-if-short-circuiting
    appPrincipalId: identity.outputs.principalId
  }
}

module storage 'modules/storage.bicep' = {
  params: {
    name: storageAccountName
    location: location
    tags: allTags
    sku: storageSku
    deploymentContainerName: 'deployments'
    softDeleteDays: softDeleteDays
    deleteLock: deleteLocks
    diagnosticLogs: diagnosticLogs
    workspaceId: monitoring.outputs.workspaceId
    createRoleAssignments: createRoleAssignments
    privateNetworking: privateNetworking
    #disable-next-line what-if-short-circuiting
    appPrincipalId: identity.outputs.principalId
  }
}

module operatorSends 'modules/queuesender.bicep' = if (createRoleAssignments && !empty(operatorId)) {
  params: {
    storageAccountName: storageAccountName
    queueName: 'customers-to-delete'
    senderPrincipalId: operatorId
    isServicePrincipal: false
  }
  dependsOn: [
    storage
  ]
}

module keyVault 'modules/keyvault.bicep' = if (usesKeyVault) {
  params: {
    name: keyVaultName
    location: location
    tags: allTags
    purgeProtection: purgeProtection
    privateNetworking: privateNetworking
    workspaceId: monitoring.outputs.workspaceId
    #disable-next-line what-if-short-circuiting
    appPrincipalId: identity.outputs.principalId
    appWrites: false
    operatorPrincipalId: operatorId
    createRoleAssignments: createRoleAssignments
    deleteLock: deleteLocks
  }
}

// A vault of its own: whoever may write one secret in a vault may write them all.
module refreshTokenVault 'modules/keyvault.bicep' = if (usesRefreshToken) {
  params: {
    name: refreshTokenVaultName
    location: location
    tags: allTags
    purgeProtection: purgeProtection
    privateNetworking: privateNetworking
    workspaceId: monitoring.outputs.workspaceId
    #disable-next-line what-if-short-circuiting
    appPrincipalId: identity.outputs.principalId
    appWrites: true
    operatorPrincipalId: operatorId
    createRoleAssignments: createRoleAssignments
    deleteLock: deleteLocks
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  params: {
    name: virtualNetworkName
    location: location
    tags: allTags
    networkPrefix: virtualNetworkPrefix
    appSubnetPrefix: appSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    isFlex: isFlex
    storageAccountName: storageAccountName
    vaultNames: vaultNames
  }
  dependsOn: [
    storage
    keyVault
    refreshTokenVault
  ]
}

module flexApp 'modules/flex.bicep' = if (isFlex) {
  params: {
    name: functionAppName
    planName: planName
    location: location
    tags: allTags
    pythonVersion: pythonVersion
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    rollingUpdates: rollingUpdates
    identityId: identity.outputs.id
    deploymentContainerUrl: storage.outputs.deploymentContainerUrl
    subnetId: privateNetworking ? network!.outputs.appSubnetId : ''
    privateInbound: closesApp
    appSettings: allSettings
  }
}

module dedicatedApp 'modules/dedicated.bicep' = if (!isFlex) {
  params: {
    name: functionAppName
    planName: planName
    location: location
    tags: allTags
    pythonVersion: pythonVersion
    sku: dedicatedSku
    identityId: identity.outputs.id
    subnetId: privateNetworking ? network!.outputs.appSubnetId : ''
    privateInbound: closesApp
    appSettings: allSettings
  }
}

module inbound 'modules/inbound.bicep' = if (closesApp) {
  params: {
    functionAppName: functionAppName
    location: location
    tags: allTags
    virtualNetworkName: virtualNetworkName
  }
  dependsOn: [
    network
    flexApp
    dedicatedApp
  ]
}

module logicApps 'modules/logicapps.bicep' = if (deployLogicApps) {
  params: {
    deleteCustomerName: deleteCustomerWorkflowName
    queueCustomerName: queueCustomerWorkflowName
    sweepSandboxName: sweepSandboxWorkflowName
    sweepMode: sweepWorkflowMode
    connectionName: queueConnectionName
    location: location
    tags: allTags
    endpoint: empty(publicBaseUrl) ? 'https://${hostName}' : publicBaseUrl
    apiClientId: easyAuthClientId
    notifyUrl: logicAppNotifyUrl
    callerObjectId: workflowCallerId
    storageAccountName: storageAccountName
    diagnosticLogs: diagnosticLogs
    workspaceId: monitoring.outputs.workspaceId
    createRoleAssignments: createRoleAssignments
  }
}

module easyAuth 'modules/easyauth.bicep' = if (!empty(easyAuthClientId)) {
  params: {
    functionAppName: functionAppName
    clientId: easyAuthClientId
    callerClientIds: easyAuthCallerClientIds
  }
  dependsOn: [
    flexApp
    dedicatedApp
  ]
}

module alerts 'modules/alerts.bicep' = {
  params: {
    actionGroupName: actionGroupName
    rulePrefix: 'sqr-tipsweep-${nameSuffix}'
    location: location
    tags: allTags
    appInsightsId: appInsightsId
    emailAddresses: alertEmailAddresses
    actionGroupIds: actionGroupIds
    alertOnMissingSweep: alertOnMissingSweep
  }
  dependsOn: [
    monitoring
  ]
}

module workbook 'modules/workbook.bicep' = {
  params: {
    displayName: 'tipsweep ${environmentName}'
    location: location
    tags: allTags
    appInsightsId: appInsightsId
  }
  dependsOn: [
    monitoring
  ]
}

@description('Region of the resources.')
output AZURE_LOCATION string = location

@description('Name of the function app, which azd deploys to.')
output SERVICE_API_NAME string = functionAppName

@description('Address of the function app.')
output SERVICE_API_URI string = 'https://${hostName}'

@description('Name of the storage account with the queues.')
output AZURE_STORAGE_ACCOUNT_NAME string = storageAccountName

@description('Name of the key vault that the credential is stored in; empty if the sign-in needs none.')
output AZURE_KEY_VAULT_NAME string = usesKeyVault ? keyVaultName : ''

@description('Name of the key vault that the refresh token is stored in; empty if the sign-in needs none.')
output REFRESH_TOKEN_VAULT_NAME string = usesRefreshToken ? refreshTokenVaultName : ''

@description('Object ID of the identity of the app: the subject of a federated credential.')
output APP_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

@description('Object ID of the workflow that deletes a customer and needs the app role operator; empty without one.')
output DELETE_CUSTOMER_PRINCIPAL_ID string = deployLogicApps ? logicApps!.outputs.deleteCustomerPrincipalId : ''

@description('Object ID of the workflow that runs a sweep and needs the app role operator; empty without one.')
output SWEEP_SANDBOX_PRINCIPAL_ID string = deployLogicApps ? logicApps!.outputs.sweepSandboxPrincipalId : ''

@description('Address that starts the workflow that deletes a customer; empty without one.')
output DELETE_CUSTOMER_URL string = deployLogicApps ? logicApps!.outputs.deleteCustomerUrl : ''

@description('Address that starts the workflow that fills the queue; empty without one.')
output QUEUE_CUSTOMER_URL string = deployLogicApps ? logicApps!.outputs.queueCustomerUrl : ''

@description('Resource ID of the function app.')
output SERVICE_API_RESOURCE_ID string = resourceId('Microsoft.Web/sites', functionAppName)

@description('Version of Python that the app was deployed for.')
output SERVICE_API_PYTHON_VERSION string = pythonVersion

@description('How the app is hosted; the hook before provisioning refuses another value.')
output SERVICE_API_HOSTING_MODEL string = hostingModel

@description('Client ID of the app registration that represents the API; empty without Easy Auth.')
output SERVICE_API_CLIENT_ID string = easyAuthClientId

@description('Address of Azure Resource Manager in this cloud.')
output RESOURCE_MANAGER_URL string = environment().resourceManager

@description('Name of the Application Insights component.')
output APPLICATIONINSIGHTS_NAME string = appInsightsName
