"""WiFi sniffers: radiotap and 802.11 headers in, signal strength per device pseudonym and window out."""
