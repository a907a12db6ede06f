metadata description = 'The private endpoint through which alone the function app and its deployment site are reached.'

@description('Name of the function app.')
param functionAppName string

@description('Region of the endpoint.')
param location string

@description('Tags of the endpoint and its zone.')
param tags { *: string }

@description('Name of the virtual network.')
param virtualNetworkName string

// environment() does not know the host names of apps.
var appDomains = {
  #disable-next-line no-hardcoded-env-urls
  AzureCloud: 'azurewebsites.net'
  #disable-next-line no-hardcoded-env-urls
  AzureUSGovernment: 'azurewebsites.us'
  #disable-next-line no-hardcoded-env-urls
  AzureChinaCloud: 'chinacloudsites.cn'
}

resource network 'Microsoft.Network/virtualNetworks@2024-07-01' existing = {
  name: virtualNetworkName
}

resource subnet 'Microsoft.Network/virtualNetworks/subnets@2024-07-01' existing = {
  parent: network
  name: 'endpoints'
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: 'privatelink.${appDomains[environment().name]}'
  location: 'global'
  tags: tags
}

resource zoneLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: zone
  name: virtualNetworkName
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: network.id
    }
  }
}

resource endpoint 'Microsoft.Network/privateEndpoints@2024-07-01' = {
  name: 'pep-${functionAppName}'
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnet.id
    }
    privateLinkServiceConnections: [
      {
        name: 'sites'
        properties: {
          privateLinkServiceId: resourceId('Microsoft.Web/sites', functionAppName)
          groupIds: [
            'sites'
          ]
        }
      }
    ]
  }
}

resource endpointName 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-07-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: 'sites'
        properties: {
          privateDnsZoneId: zone.id
        }
      }
    ]
  }
  dependsOn: [
    zoneLink
  ]
}
