"""What cells will need: seconds, memory, disk, energy. Each number says whether it was recorded, scaled or computed."""
