metadata description = 'An empty key vault with RBAC; people add the secrets.'

@description('Name of the vault. It stays taken while a deleted vault can be recovered.')
@minLength(3)
@maxLength(24)
param name string

@description('Region of the vault.')
param location string

@description('Tags of the vault.')
param tags { *: string }

@description('Whether a deleted vault cannot be purged for 90 days. Cannot be turned off again.')
param purgeProtection bool

@description('Whether the vault is reached through private endpoints only.')
param privateNetworking bool

@description('Resource ID of the workspace that receives the audit log.')
param workspaceId string

@description('Object ID of the identity that the function app uses.')
param appPrincipalId string

@description('Whether the app may also write secrets; otherwise it only reads.')
param appWrites bool

@description('Whether the vault carries a lock against deletion.')
param deleteLock bool

@description('Whether to assign the roles of app and operator.')
param createRoleAssignments bool

@description('Object ID of the person or group that stores the secrets; empty for none.')
param operatorPrincipalId string

var roles = loadJsonContent('../roles.json')
var assignsReader = createRoleAssignments && !appWrites
var assignsWriter = createRoleAssignments && appWrites
var assignsOperator = createRoleAssignments && !empty(operatorPrincipalId)

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  // checkov:skip=CKV_AZURE_42:purgeProtection is on unless a parameter file turns it off
  // checkov:skip=CKV_AZURE_110:purgeProtection is on unless a parameter file turns it off
  // checkov:skip=CKV_AZURE_109:the firewall is closed with privateNetworking; otherwise the app comes from outside
  // checkov:skip=CKV_AZURE_189:public access is off with privateNetworking; otherwise the app comes from outside
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    // The service rejects false.
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateNetworking ? 'Deny' : 'Allow'
    }
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (deleteLock) {
  name: 'no-deletion'
  scope: vault
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds the credential of the sandbox account.'
  }
}

resource auditLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'AuditEvent'
        enabled: true
      }
    ]
  }
}

resource appReads 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignsReader) {
  name: guid(vault.id, appPrincipalId, roles.secretsUser)
  scope: vault
  properties: {
    description: 'Reads the client secret, or the certificate with its key.'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretsUser)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource appReadsAndWrites 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignsWriter) {
  name: guid(vault.id, appPrincipalId, roles.secretsOfficer)
  scope: vault
  properties: {
    description: 'Reads the refresh token and writes the new one; this vault holds nothing else.'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretsOfficer)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource operatorWrites 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignsOperator) {
  name: guid(vault.id, operatorPrincipalId, roles.secretsOfficer)
  scope: vault
  properties: {
    description: 'A person stores the credential after the first deployment and replaces it later.'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.secretsOfficer)
    principalId: operatorPrincipalId
  }
}

@description('Address of the vault, with a trailing slash.')
output uri string = vault.properties.vaultUri
