// Reads QR codes from the camera: by the browser's own BarcodeDetector, or by the library beside this file.
let stream, timer;

async function detector() {
  if ('BarcodeDetector' in globalThis && (await globalThis.BarcodeDetector.getSupportedFormats()).includes('qr_code')) {
    return new globalThis.BarcodeDetector({ formats: ['qr_code'] });
  }
  const { default: decodeQR } = await import('./decode.js');
  const canvas = document.createElement('canvas');
  return {
    async detect(video) {
      const scale = Math.min(1, 640 / Math.max(video.videoWidth, video.videoHeight));
      canvas.width = Math.round(video.videoWidth * scale);
      canvas.height = Math.round(video.videoHeight * scale);
      const pixels = canvas.getContext('2d', { willReadFrequently: true });
      pixels.drawImage(video, 0, 0, canvas.width, canvas.height);
      const { data, width, height } = pixels.getImageData(0, 0, canvas.width, canvas.height);
      try {
        return [{ rawValue: decodeQR({ data, width, height }) }];
      } catch {
        return []; // no code in the picture
      }
    },
  };
}

// start shows the camera in the video element and calls found with each code that comes into view, once until it has left it.
export async function start(video, found) {
  stop();
  stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' }, audio: false });
  video.srcObject = stream;
  await video.play();
  const d = await detector();
  let last = '', unseen = 0;
  const look = async () => {
    const [code] = video.videoWidth ? await d.detect(video).catch(() => []) : [];
    if (!code) {
      if (++unseen > 5) last = '';
    } else {
      unseen = 0;
      if (code.rawValue !== last) {
        last = code.rawValue;
        await found(last);
      }
    }
    if (stream) timer = setTimeout(look, 120);
  };
  look();
}

export function stop() {
  clearTimeout(timer);
  stream?.getTracks().forEach((t) => t.stop());
  stream = undefined;
}

export const running = () => Boolean(stream);
