using '../main.bicep'

param environmentName = 'prod'
param storageSku = 'Standard_ZRS'
param logRetentionDays = 90
param sweepMode = 'report'
param tags = {
  application: 'tipsweep'
  environment: 'prod'
}

param partnerTenantId = readEnvironmentVariable('PARTNER_TENANT_ID')
param sandboxTenantConfirmation = readEnvironmentVariable('SANDBOX_TENANT_CONFIRMATION')
param partnerCenterClientId = readEnvironmentVariable('PARTNER_CENTER_CLIENT_ID')
param protectedTenants = readEnvironmentVariable('PROTECTED_TENANTS', '')
param protectedDomains = readEnvironmentVariable('PROTECTED_DOMAINS', '')
param alertEmailAddresses = json(readEnvironmentVariable('ALERT_EMAIL_ADDRESSES', '[]'))
