"""What is metered, for whom and at what price: the model that every source of a catalog fills."""
