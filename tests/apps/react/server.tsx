import { renderToString } from 'react-dom/server';
import { App, kind } from './app.js';

if (kind !== 'function') throw new Error(kind);
export const page = renderToString(<App />);
