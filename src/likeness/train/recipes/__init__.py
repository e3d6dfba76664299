"""What can be trained: each recipe supplies modules, batches and a loss to `train.loop`."""
