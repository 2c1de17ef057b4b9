"""How maps of VS-Net are made: options, network, losses, and what of it is deployed."""
