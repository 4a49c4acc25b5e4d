import 'asasr-upscaler/react';
import { AsasrUpscaler } from 'asasr-upscaler';

const element: AsasrUpscaler = document.createElement('asasr-upscaler');
element.src = 'a.png';
element.scale = 4;
element.hold = false;
element.addEventListener('result', ({ detail }) => detail.width.toFixed());
element.addEventListener('error', ({ detail }) => detail.message.length);
// @ts-expect-error
element.mode = 'best';
// @ts-expect-error
element.scale = 'four';
// @ts-expect-error
export const modes = <asasr-upscaler mode="best" />;
