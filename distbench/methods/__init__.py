"""How students are made: initialisation, training objectives, quantisation."""
