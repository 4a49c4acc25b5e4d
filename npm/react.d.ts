import type { DetailedHTMLProps, HTMLAttributes } from 'react';
import type { AsasrUpscaler, AsasrUpscalerAttributes } from './index.js';

export * from './index.js';

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'asasr-upscaler': DetailedHTMLProps<HTMLAttributes<AsasrUpscaler>, AsasrUpscaler> & AsasrUpscalerAttributes;
    }
  }
}
