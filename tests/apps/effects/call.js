import { Upscaler } from 'asasr-upscaler/upscaler.js';

new Upscaler();
