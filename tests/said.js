// The texts of both languages by their codes, and the codes that the page's scripts say, whose sources are args[0].
const { english } = await import('./english.js');
const { german } = await import('./german.js');
const calls = args[0].flatMap((source) => [...source.matchAll(/\b[sS]aid\(((?:[^()]|\([^()]*\))*)\)/g)].map(([, inside]) => inside));
const codes = calls.flatMap((inside) => [...inside.matchAll(/'([a-z0-9-]+)'/g)].map(([, code]) => code));
return { english, german, codes: [...new Set(codes)] };
