"""Other people's servers with our voice behind them, one small file each; `bench peers` starts them as programs."""
