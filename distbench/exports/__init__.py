"""A comparison in the formats of other tools. Each is a plug-in of the group `distbench.exports`; none computes."""
