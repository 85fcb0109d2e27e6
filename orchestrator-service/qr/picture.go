package qr

import qrcode "github.com/skip2/go-qrcode"

// PicturePixels is the width and height of a picture: what the web app draws.
const PicturePixels = 220

// Picture draws a payload as a PNG that a reader decodes at its own size. Level L: the code is shown on a screen, where
// fewer, larger modules matter more than redundancy.
func Picture(payload string) ([]byte, error) {
	return qrcode.Encode(payload, qrcode.Low, PicturePixels)
}
