// Questions to the server; addresses are relative, so that they carry the token.

export async function ask(name, query = {}) {
  return answer(await fetch(`${name}?${new URLSearchParams(query)}`));
}

export async function tell(name, body) {
  return answer(
    await fetch(name, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
}

async function answer(response) {
  const found = await response.json();
  if (response.ok) return found;
  throw Object.assign(new Error(found.error), { status: response.status });
}
