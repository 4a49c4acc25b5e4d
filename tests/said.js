// The sentences in sources of Rust, args[0], and of the page's scripts, args[1]: how many, and those that have no German. Places stand as 7.
const { translated } = await import('./texts.js');
const rust = args[0].flatMap((source) => {
  const code = source.split(/#\[cfg\((all\()?test/)[0].replace(/^\s*\/\/.*$/gm, '').replace(/#!?\[[^\]]*\]/g, '');
  return [...code.matchAll(/"((?:[^"\\]|\\[^])*)"/g)]
    .map(([, text]) => text.replace(/\\\n\s*/g, '').replace(/\\(.)/g, '$1').replace(/\{[^}]*\}/g, '7'));
});
const scripts = args[1].flatMap((source) => {
  const code = source.replace(/^\s*(\/\/|\/?\*).*$/gm, '').replace(/ \/\/ .*$/gm, '');
  return [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|`([^`]*)`/g)]
    .map(([, plain, filled]) => (plain ?? filled).replace(/\\(.)/g, '$1').replace(/\$\{[^}]*\}/g, '7'));
});
const sentences = [...rust, ...scripts].filter((text) => /^[a-z7]\S* \S+ .*[a-z]/.test(text) && !text.includes('$'));
// Some are put behind a name, or behind where the network runs.
const german = (text) => ['', '7 ', '7 – '].some((before) => translated(before + text) !== before + text);
return [sentences.length, sentences.filter((text) => !german(text))];
