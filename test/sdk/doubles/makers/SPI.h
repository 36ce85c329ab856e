/* SPI.h - the double of Ethernet needs nothing of it. */
