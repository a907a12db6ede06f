metadata description = 'Easy Auth in front of the app: it signs callers of this tenant in, the app asks for their role.'

@description('Name of the function app.')
param functionAppName string

@description('Client ID of the app registration that represents the API.')
param clientId string

@description('Client IDs of the applications through which callers come; empty for any application.')
param callerClientIds string[]

var callerPolicy = {
  allowedApplications: callerClientIds
}

resource functionApp 'Microsoft.Web/sites@2024-04-01' existing = {
  name: functionAppName
}

resource authentication 'Microsoft.Web/sites/config@2024-04-01' = {
  // These checks mistake the sign-in settings for the settings of the app, which are in flex.bicep and dedicated.bicep.
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
      // People start at /.auth/login/aad: a redirect would hide from programs that they are not signed in.
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
          // No secret: the identity of the app signs in for the registration, as its federated credential.
          clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [
            'api://${clientId}'
            clientId
          ]
          defaultAuthorizationPolicy: empty(callerClientIds) ? null : callerPolicy
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
