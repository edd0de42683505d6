"""The objects a notebook holds, `Kit` and `Run`, and the wiring behind them."""
