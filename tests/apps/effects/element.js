import 'asasr-upscaler';
