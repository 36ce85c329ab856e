# The engine's promises: log and keep stores, power cuts, planted bugs, faults of the network.
molt_test(NAME unit-log SOURCES unit/log_test.c LIBS sim)
