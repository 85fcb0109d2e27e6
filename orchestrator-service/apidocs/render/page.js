'use strict';
// The examples are for the gateway that the page came from.
const tour = document.querySelector('.tour');
tour.textContent = tour.textContent.replace('http://localhost:8000', location.origin);

// A link opens what it leads to.
const open = () => {
  const entry = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest('details');
  if (!entry) return;
  entry.open = true;
  entry.scrollIntoView();
  entry.firstElementChild.focus({ preventScroll: true });
};
addEventListener('hashchange', open);
open();

// The find box leaves what has all the words.
const find = document.getElementById('find');
const entries = [...document.querySelectorAll('details')].map((entry) => ({ entry, text: entry.textContent.toLowerCase() }));
const links = new Map([...document.querySelectorAll('nav li')].map((item) => [item.firstElementChild.hash.slice(1), item]));
find.hidden = false;
find.oninput = () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { entry, text } of entries) {
    entry.hidden = !words.every((word) => text.includes(word));
    links.get(entry.lastElementChild.id).hidden = entry.hidden;
  }
  for (const section of document.querySelectorAll('section')) section.hidden = !section.querySelector('details:not([hidden])');
  document.querySelector('.whole').hidden = words.length > 0;
  document.getElementById('none').hidden = entries.some(({ entry }) => !entry.hidden);
};
addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== find) { event.preventDefault(); find.focus(); }
  if (event.key === 'Escape' && find.value) { find.value = ''; find.oninput(); }
});
addEventListener('click', (event) => { // of a link to what the find box has taken away
  const to = event.target.closest('a[href^="#"]') && document.getElementById(event.target.closest('a').hash.slice(1));
  if (to?.closest('[hidden]')) { find.value = ''; find.oninput(); }
});
