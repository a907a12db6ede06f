metadata description = 'Easy Auth in front of the app: only named callers of this tenant reach the HTTP functions.'

@description('Name of the function app.')
param functionAppName string

@description('Client ID of the app registration that represents the API.')
param clientId string

@description('Object IDs of the identities that may call. If empty, nobody may.')
param callerObjectIds string[]

@description('Client IDs of the applications that may call; empty for any application of an admitted identity.')
param callerClientIds string[]

// An empty list would admit every identity of the tenant.
var admittedObjectIds = empty(callerObjectIds) ? ['00000000-0000-0000-0000-000000000000'] : callerObjectIds

resource functionApp 'Microsoft.Web/sites@2024-04-01' existing = {
  name: functionAppName
}

resource authentication 'Microsoft.Web/sites/config@2024-04-01' = {
  // These checks mistake the sign-in settings for the settings of the app, which are in functionapp.bicep.
  // checkov:skip=CKV_AZURE_13:this resource is the authentication that the check asks for
  // checkov:skip=CKV_AZURE_63:Application Insights records the requests
  // checkov:skip=CKV_AZURE_65:Application Insights records the errors
  // checkov:skip=CKV_AZURE_66:Application Insights records the failed requests
  // checkov:skip=CKV_AZURE_80:the app is written in Python
  // checkov:skip=CKV_AZURE_88:the app mounts no files
  // checkov:skip=CKV_AZURE_222:Logic Apps and people call the HTTP functions from outside the network
  parent: functionApp
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: true
      runtimeVersion: '~1'
    }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      excludedPaths: [
        '/api/health'
      ]
    }
    httpSettings: {
      requireHttps: true
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: clientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [
            'api://${clientId}'
            clientId
          ]
          defaultAuthorizationPolicy: {
            allowedApplications: empty(callerClientIds) ? null : callerClientIds
            allowedPrincipals: {
              identities: admittedObjectIds
            }
          }
        }
      }
    }
    login: {
      tokenStore: {
        enabled: false
      }
    }
  }
}
