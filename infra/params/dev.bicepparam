using '../main.bicep'

param environmentName = 'dev'
// A vault that can be purged, so that the environment can be torn down and recreated on the same day.
param purgeProtection = false
param sweepMode = 'report'
param tags = {
  application: 'tipsweep'
  environment: 'dev'
}

param partnerTenantId = readEnvironmentVariable('PARTNER_TENANT_ID')
param sandboxTenantConfirmation = readEnvironmentVariable('SANDBOX_TENANT_CONFIRMATION')
param partnerCenterClientId = readEnvironmentVariable('PARTNER_CENTER_CLIENT_ID')
param protectedTenants = readEnvironmentVariable('PROTECTED_TENANTS', '')
param protectedDomains = readEnvironmentVariable('PROTECTED_DOMAINS', '')
param alertEmailAddresses = json(readEnvironmentVariable('ALERT_EMAIL_ADDRESSES', '[]'))
