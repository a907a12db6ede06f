metadata description = 'A virtual network in which the app reaches storage and vaults through private endpoints.'

@description('Name of the virtual network.')
param name string

@description('Region of the network.')
param location string

@description('Tags of the network.')
param tags { *: string }

@description('Address range of the network.')
param networkPrefix string

@description('Address range of the subnet that the app sends from; Azure requires a /27 or larger.')
param appSubnetPrefix string

@description('Address range of the subnet with the private endpoints.')
param endpointSubnetPrefix string

@description('Whether the app runs on Flex Consumption, which needs a different subnet delegation.')
param isFlex bool

@description('Name of the storage account.')
param storageAccountName string

@description('Names of the key vaults.')
param vaultNames string[]

var storageServices = [
  'blob'
  'queue'
  'table'
]
var storageZones = [for service in storageServices: 'privatelink.${service}.${environment().suffixes.storage}']
var vaultZone = 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
var zoneNames = concat(storageZones, [vaultZone])
var storageEndpoints = [
  for service in storageServices: {
    name: 'pep-${service}-${storageAccountName}'
    targetType: 'Microsoft.Storage/storageAccounts'
    targetName: storageAccountName
    groupId: service
    zone: 'privatelink.${service}.${environment().suffixes.storage}'
  }
]
var vaultEndpoints = [
  for vaultName in vaultNames: {
    name: 'pep-${vaultName}'
    targetType: 'Microsoft.KeyVault/vaults'
    targetName: vaultName
    groupId: 'vault'
    zone: vaultZone
  }
]
var endpoints = concat(storageEndpoints, vaultEndpoints)

resource network 'Microsoft.Network/virtualNetworks@2024-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        networkPrefix
      ]
    }
    // Inside the network, because Azure may remove subnets that a later deployment of the network does not name.
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: appSubnetPrefix
          delegations: [
            {
              name: 'functions'
              properties: {
                serviceName: isFlex ? 'Microsoft.App/environments' : 'Microsoft.Web/serverFarms'
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointSubnetPrefix
        }
      }
    ]
  }
}

resource appSubnet 'Microsoft.Network/virtualNetworks/subnets@2024-07-01' existing = {
  parent: network
  name: 'app'
}

resource endpointSubnet 'Microsoft.Network/virtualNetworks/subnets@2024-07-01' existing = {
  parent: network
  name: 'endpoints'
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in zoneNames: {
    name: zone
    location: 'global'
    tags: tags
  }
]

resource zoneLinks 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, i) in zoneNames: {
    parent: zones[i]
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: network.id
      }
    }
  }
]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2024-07-01' = [
  for endpoint in endpoints: {
    name: endpoint.name
    location: location
    tags: tags
    properties: {
      subnet: {
        id: endpointSubnet.id
      }
      privateLinkServiceConnections: [
        {
          name: endpoint.groupId
          properties: {
            privateLinkServiceId: resourceId(endpoint.targetType, endpoint.targetName)
            groupIds: [
              endpoint.groupId
            ]
          }
        }
      ]
    }
  }
]

resource endpointNames 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-07-01' = [
  for (endpoint, i) in endpoints: {
    parent: privateEndpoints[i]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: endpoint.groupId
          properties: {
            privateDnsZoneId: resourceId('Microsoft.Network/privateDnsZones', endpoint.zone)
          }
        }
      ]
    }
    dependsOn: [
      zoneLinks
    ]
  }
]

@description('Resource ID of the subnet that the function app sends from.')
output appSubnetId string = appSubnet.id
