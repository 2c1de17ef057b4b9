"""HSCNet and HSCNet++: from a place's hierarchy to coordinates of the map."""
