metadata description = 'The one identity that the function app signs in with everywhere.'

@description('Name of the identity.')
param name string

@description('Region of the identity.')
param location string

@description('Tags of the identity.')
param tags { *: string }

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource ID, which assigns the identity to the function app.')
output id string = identity.id

@description('Client ID, with which SDKs and the Functions host select the identity.')
output clientId string = identity.properties.clientId

@description('Object ID, to which roles are assigned.')
output principalId string = identity.properties.principalId
