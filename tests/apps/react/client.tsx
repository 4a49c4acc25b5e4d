import { hydrateRoot } from 'react-dom/client';
import { App } from './app.js';

const root = document.getElementById('root')!;
hydrateRoot(root, <App />, { onRecoverableError: (error) => { document.body.dataset.error = String(error); } });
