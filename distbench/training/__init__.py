"""Training in torch: one objective, one trainer, whatever the losses, the teachers and the data are."""
