import { useCallback, useState } from 'react';
import { Upscaler, type AsasrUpscaler, type Upscaled } from 'asasr-upscaler/react';

/** What a server sees of a class that only a browser can make. */
export const kind = typeof Upscaler;

export function App() {
  const [scale, setScale] = useState(2);
  const [result, setResult] = useState<Upscaled | null>(null);
  // While it takes over a server's page, React adds no listeners to custom elements.
  const listening = useCallback((element: AsasrUpscaler | null) => {
    const heard = ({ detail }: CustomEvent<Upscaled>) => setResult(detail);
    element?.addEventListener('result', heard);
    return () => element?.removeEventListener('result', heard);
  }, []);
  return (
    <main>
      <asasr-upscaler
        className="photo" src="photo.png" device="cpu" scale={scale} hold="off" ref={listening}
        onerror={({ detail }) => { document.body.dataset.error = detail.message; }}
      >
        <img src="photo.png" alt="The photo" />
      </asasr-upscaler>
      <button onClick={() => setScale(3)}>Larger</button>
      <output>{result ? `${result.width} by ${result.height}` : ''}</output>
    </main>
  );
}
