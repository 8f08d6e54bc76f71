// The one place where the add-on is loaded: the form that file tracers of bundlers recognise.
module.exports = require('node-gyp-build')(__dirname)
