"""The page of the service: ``index.html``, ``style.css`` and ``page.js``, which fetch nothing from elsewhere."""
