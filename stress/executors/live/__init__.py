"""The live executor: real Gateway processes on real stores, the gate between."""
