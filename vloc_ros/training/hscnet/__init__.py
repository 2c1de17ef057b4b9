"""How maps of HSCNet and HSCNet++ are made: options, network, losses, and what of it is deployed."""
