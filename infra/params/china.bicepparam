using '../main.bicep'

param environmentName = 'china'
// Azure operated by 21Vianet has no Flex Consumption.
param hostingModel = 'dedicated'
// Nor does the host know which token telemetry needs there.
param entraTelemetry = false
param partnerCenterCloud = 'china'
param sweepMode = 'report'
param tags = {
  application: 'tipsweep'
  environment: 'china'
}

param partnerTenantId = readEnvironmentVariable('PARTNER_TENANT_ID')
param sandboxTenantConfirmation = readEnvironmentVariable('SANDBOX_TENANT_CONFIRMATION')
param partnerCenterClientId = readEnvironmentVariable('PARTNER_CENTER_CLIENT_ID')
param protectedTenants = readEnvironmentVariable('PROTECTED_TENANTS', '')
param protectedDomains = readEnvironmentVariable('PROTECTED_DOMAINS', '')
param alertEmailAddresses = json(readEnvironmentVariable('ALERT_EMAIL_ADDRESSES', '[]'))
