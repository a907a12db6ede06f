using './main.bicep'

// Read by azd from its environment (azd env set NAME value) and by az from the shell.
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param operatorPrincipalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param hostingModel = readEnvironmentVariable('HOSTING_MODEL', 'flex')
param purgeProtection = bool(readEnvironmentVariable('PURGE_PROTECTION', 'true'))
param privateNetworking = bool(readEnvironmentVariable('PRIVATE_NETWORKING', 'false'))
param alertEmailAddresses = json(readEnvironmentVariable('ALERT_EMAIL_ADDRESSES', '[]'))
param easyAuthClientId = readEnvironmentVariable('EASY_AUTH_CLIENT_ID', '')
param easyAuthCallerObjectIds = json(readEnvironmentVariable('EASY_AUTH_CALLER_OBJECT_IDS', '[]'))
param maximumInstanceCount = int(readEnvironmentVariable('MAXIMUM_INSTANCE_COUNT', '100'))
param deployLogicApps = bool(readEnvironmentVariable('DEPLOY_LOGIC_APPS', 'false'))

param partnerTenantId = readEnvironmentVariable('PARTNER_TENANT_ID')
param sandboxTenantConfirmation = readEnvironmentVariable('SANDBOX_TENANT_CONFIRMATION')
param partnerCenterClientId = readEnvironmentVariable('PARTNER_CENTER_CLIENT_ID')
param partnerCenterAuth = readEnvironmentVariable('PARTNER_CENTER_AUTH', 'secret')
param partnerCenterCloud = readEnvironmentVariable('PARTNER_CENTER_CLOUD', 'global')
param protectedTenants = readEnvironmentVariable('PROTECTED_TENANTS', '')
param protectedDomains = readEnvironmentVariable('PROTECTED_DOMAINS', '')
param sweepMode = readEnvironmentVariable('SWEEP_MODE', 'report')
