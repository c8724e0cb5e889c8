"""TI IWR6843 radars: the UART frame parser, the two serial ports and the configuration dialogue."""
