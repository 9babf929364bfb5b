"""From a grid to a published table: sweeps, the records of runs, tables. Importing it imports nothing heavy."""
