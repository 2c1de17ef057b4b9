"""Networks of local features, exported so that maps can carry them."""
